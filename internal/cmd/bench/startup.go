package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// starts is how often the provider is started. It is odd, for the one in the
// middle.
const starts = 21

// startup is what is there before the first resource.
type startup struct {
	// Seconds is the median from the start of the process to the first answer.
	Seconds float64 `json:"seconds"`
	// CPUSeconds is the median of what the process computed, up to its end.
	CPUSeconds float64 `json:"cpu_seconds"`
	// SchemaBytes is how long the first answer is, which has every schema.
	SchemaBytes int `json:"schema_bytes"`
	// BinaryBytes is the size of the provider, built as for a release.
	BinaryBytes int64 `json:"binary_bytes"`
	// Modules counts those of others that are linked into it.
	Modules int `json:"modules"`
}

// measureStartup builds the provider as for a release, and starts it once more
// than is counted: the first time the system reads it from the disk.
func measureStartup(ctx context.Context) (*startup, error) {
	say("preparing: release")
	dir, err := os.MkdirTemp("", "bitbucket-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	provider := filepath.Join(dir, "provider.exe") // Windows runs nothing without a suffix, others run this too.
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", provider, module)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build of %s: %w\n%s", module, err, out)
	}
	binary, err := os.Stat(provider)
	if err != nil {
		return nil, err
	}
	built, err := buildinfo.ReadFile(provider)
	if err != nil {
		return nil, err
	}
	s := &startup{BinaryBytes: binary.Size(), Modules: len(built.Deps)}
	var all, computed []time.Duration
	for n := range 1 + starts {
		took, cpu, schema, err := start(ctx, provider)
		if err != nil {
			return nil, fmt.Errorf("start of the provider: %w", err)
		}
		s.SchemaBytes = schema
		if n > 0 {
			all, computed = append(all, took), append(computed, cpu)
		}
	}
	s.Seconds, s.CPUSeconds = round(median(all).Seconds(), 4), round(median(computed).Seconds(), 4)
	say("start: %.0f ms (%.0f ms of CPU), %d bytes of schema, %d bytes of provider, %d modules",
		1000*s.Seconds, 1000*s.CPUSeconds, s.SchemaBytes, s.BinaryBytes, s.Modules)
	return s, nil
}

// start runs the provider as Terraform does until it has told its schemas, and
// returns how long that took, what the process computed in its whole life, and
// the size of the answer. The time has Terraform's part of the handshake in it.
func start(ctx context.Context, provider string) (took, computed time.Duration, schema int, err error) {
	command := exec.CommandContext(ctx, provider)
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			MagicCookieKey:   "TF_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
		},
		VersionedPlugins: map[int]plugin.PluginSet{6: {}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Cmd:              command,
		SkipHostEnv:      true, // How Go and the provider are set up must not change the numbers.
		Logger:           hclog.NewNullLogger(),
	})
	defer func() {
		client.Kill()
		if command.ProcessState != nil {
			computed = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
		}
	}()
	begin := time.Now()
	protocol, err := client.Client()
	if err != nil {
		return 0, 0, 0, err
	}
	connection, ok := protocol.(*plugin.GRPCClient)
	if !ok {
		return 0, 0, 0, errors.New("it does not speak gRPC")
	}
	// A message without fields keeps what it does not know, so that the answer
	// can be weighed without its types, which terraform-plugin-go does not export.
	var schemas emptypb.Empty
	err = connection.Conn.Invoke(ctx, "/tfplugin6.Provider/GetProviderSchema", &emptypb.Empty{}, &schemas)
	return time.Since(begin), 0, proto.Size(&schemas), err
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}
