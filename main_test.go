package main

import (
	"os"
	"strings"
	"testing"
)

//nolint:paralleltest // It sets the environment.
func TestSilenceUnreadLogs(t *testing.T) {
	levels := []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK", "TF_LOG_PROVIDER_BITBUCKET"}
	tests := map[string]struct {
		set, value string
		// want is the level of the first three loggers, own the level of the provider's
		// logger.
		want, own string
	}{
		"nothing set":    {want: "OFF", own: "OFF"},
		"set to nothing": {set: "TF_LOG", want: "OFF", own: "OFF"},
		"all":            {set: "TF_LOG", value: "DEBUG", own: "DEBUG"},
		"providers":      {set: "TF_LOG_PROVIDER", value: "DEBUG", own: "DEBUG"},
		"this one":       {set: "TF_LOG_PROVIDER_BITBUCKET", value: "WARN", own: "WARN"},
		"frameworks":     {set: "TF_LOG_SDK_HELPER", value: "DEBUG"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, variable := range os.Environ() {
				if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TF_LOG") {
					t.Setenv(name, "")
				}
			}
			for _, level := range levels {
				t.Setenv(level, "")
			}
			if test.set != "" {
				t.Setenv(test.set, test.value)
			}
			if err := silenceUnreadLogs(); err != nil {
				t.Fatal(err)
			}
			for i, level := range levels {
				want := test.want
				if i == len(levels)-1 {
					want = test.own
				}
				if got := os.Getenv(level); got != want {
					t.Errorf("%s is %q, want %q", level, got, want)
				}
			}
		})
	}
}
