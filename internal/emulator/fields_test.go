package emulator_test

import "testing"

func TestFields(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for fields, want := range map[string]string{
		"values.slug":             `{"values":[{"slug":"sandbox"},{"slug":"other"}]}`,
		"values.project.key,size": `{"size":2,"values":[{"project":{"key":"PROJ"}},{"project":{"key":"PROJ"}}]}`,
		"size,next":               `{"size":2}`,
		"size,size.x":             `{"size":2}`,
		"unknown":                 `{}`,
	} {
		s.send(t, "GET", repositories+"?fields="+fields, "").want(t, 200, want)
	}
}
