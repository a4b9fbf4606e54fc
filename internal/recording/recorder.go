// Package recording stores exchanges with a Bitbucket as test data: without credentials and
// without anything that names a person, an account or a workspace.
package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"gopkg.in/dnaeon/go-vcr.v4/pkg/cassette"
	"gopkg.in/dnaeon/go-vcr.v4/pkg/recorder"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// Recorder records the requests of a server and their replies.
type Recorder struct {
	vcr       *recorder.Recorder
	sanitizer *sanitizer
	exchanges []*cassette.Interaction
	file      memory
}

// Start records all later requests of a server. It first requests the names of the account and
// of the workspace, because the recording must not contain these names.
func Start(ctx context.Context, server *live.Server) (*Recorder, error) {
	r := &Recorder{sanitizer: newSanitizer(server)}
	for _, path := range []string{"/user", "/workspaces/" + url.PathEscape(server.Workspace)} {
		reply, err := server.Do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, fmt.Errorf("asking for the names that must not be recorded: %w", redacted{err, server})
		}
		var body any
		if json.Unmarshal(reply.Body, &body) == nil { // Not all credentials may read this.
			r.sanitizer.learn(body, "")
		}
	}
	var err error
	r.vcr, err = recorder.New("exchanges",
		recorder.WithMode(recorder.ModeRecordOnly),
		recorder.WithRealTransport(live.NewTransport()),
		recorder.WithSkipRequestLatency(true),
		recorder.WithFS(&r.file),
		recorder.WithHook(func(exchange *cassette.Interaction) error {
			r.exchanges = append(r.exchanges, exchange)
			return nil
		}, recorder.AfterCaptureHook),
	)
	if err != nil {
		return nil, err
	}
	server.SetTransport(r.vcr)
	return r, nil
}

// Save stores the exchanges in a file. If the exchanges still have a name or credentials, Save
// stores nothing and returns an error.
func (r *Recorder) Save(path string) error {
	r.sanitizer.learnAll(r.exchanges)
	for _, exchange := range r.exchanges {
		r.sanitizer.clean(exchange)
	}
	if err := r.vcr.Stop(); err != nil {
		return fmt.Errorf("writing the recording: %w", err)
	}
	if err := r.sanitizer.check(r.exchanges, string(r.file)); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // Everybody may read test data.
		return err
	}
	return os.WriteFile(path, r.file, 0o644) //nolint:gosec // Everybody may read test data.
}

// redacted hides copies of the credentials in the text of an error.
type redacted struct {
	error
	server *live.Server
}

func (e redacted) Error() string { return e.server.Redact(e.error.Error()) }
func (e redacted) Unwrap() error { return e.error }

// memory is the only file of a [cassette.FS]. It is not on disk, because the recording must be
// checked before it is stored.
type memory []byte

func (m *memory) ReadFile(string) ([]byte, error) { return nil, errors.ErrUnsupported }
func (m *memory) IsFileExists(string) bool        { return false }

func (m *memory) WriteFile(_ string, content []byte) error {
	*m = content
	return nil
}
