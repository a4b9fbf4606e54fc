package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// readProvider is a provider with one resource, test_thing. Reading the resource calls the
// function.
type readProvider func(context.Context)

func (readProvider) Metadata(context.Context, provider.MetadataRequest, *provider.MetadataResponse) {}

func (readProvider) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (readProvider) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}
func (readProvider) DataSources(context.Context) []func() datasource.DataSource { return nil }
func (p readProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return readResource(p) }}
}

type readResource func(context.Context)

func (readResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "test_thing"
}

func (readResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{"id": schema.StringAttribute{Computed: true}}}
}

func (r readResource) Read(ctx context.Context, _ resource.ReadRequest, _ *resource.ReadResponse) {
	r(ctx)
}
func (readResource) Create(context.Context, resource.CreateRequest, *resource.CreateResponse) {}
func (readResource) Update(context.Context, resource.UpdateRequest, *resource.UpdateResponse) {}
func (readResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// readThing sends the server a request to read a test_thing.
func readThing(ctx context.Context, t *testing.T, server tfprotov6.ProviderServer) {
	t.Helper()
	thing := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"id": tftypes.String}}
	state, err := tfprotov6.NewDynamicValue(thing, tftypes.NewValue(thing, map[string]tftypes.Value{"id": tftypes.NewValue(tftypes.String, "1")}))
	if err != nil {
		t.Error(err)
	}
	resp, err := server.ReadResource(ctx, &tfprotov6.ReadResourceRequest{TypeName: "test_thing", CurrentState: &state})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Errorf("reading a test_thing: %v, %v", err, resp)
	}
}

type loggerKey struct{}

// keepsContext reports whether the context of a call stays in memory. The context is
// cancelled after the call, as gRPC does.
func keepsContext(t *testing.T, call func(context.Context)) bool {
	t.Helper()
	logger := new([64]byte)
	pointer := weak.Make(logger)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), loggerKey{}, logger))
	call(ctx)
	cancel()
	runtime.GC()
	return pointer.Value() != nil
}

func TestServerForgetsContexts(t *testing.T) {
	t.Parallel()
	framework := providerserver.NewProtocol6(readProvider(func(context.Context) {}))()
	if !keepsContext(t, func(ctx context.Context) { readThing(ctx, t, framework) }) {
		t.Error("the framework has freed its contexts: remove leakFixServer")
	}
	server := fixContextLeak(framework)
	if keepsContext(t, func(ctx context.Context) { readThing(ctx, t, server) }) {
		t.Error("the context of ReadResource is still in memory after the call")
	}
	for _, calls := range []reflect.Type{reflect.TypeFor[tfprotov6.ResourceServer](), reflect.TypeFor[tfprotov6.DataSourceServer](), reflect.TypeFor[tfprotov6.FunctionServer]()} {
		for method := range calls.Methods() {
			if method.Name == "GetFunctions" {
				continue // Terraform calls it only once.
			}
			call := reflect.ValueOf(server).MethodByName(method.Name)
			if keepsContext(t, func(ctx context.Context) {
				call.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.New(method.Type.In(1).Elem())})
			}) {
				t.Errorf("the context of %s is still in memory after the call", method.Name)
			}
		}
	}
	runtime.KeepAlive(framework)
}

func TestServerCanWhatTheFrameworkCan(t *testing.T) {
	t.Parallel()
	framework := reflect.TypeOf(providerserver.NewProtocol6(New("test")())())
	server := reflect.TypeOf(NewServer("test")())
	if server != reflect.TypeFor[leakFixServer]() {
		t.Errorf("the framework's server has lost a method of frameworkServer")
	}
	for method := range framework.Methods() {
		if _, ok := server.MethodByName(method.Name); !ok {
			t.Errorf("add the interface with %s to frameworkServer", method.Name)
		}
	}
}

func TestServerContextOfACall(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithTimeout(context.WithValue(t.Context(), loggerKey{}, "logger"), time.Hour)
	defer cancel()
	var kept context.Context
	var running <-chan struct{}
	readThing(parent, t, fixContextLeak(providerserver.NewProtocol6(readProvider(func(ctx context.Context) {
		kept, running = ctx, ctx.Done()
		if ctx.Value(loggerKey{}) != "logger" || ctx.Err() != nil {
			t.Errorf("during the call: Value %v, Err %v", ctx.Value(loggerKey{}), ctx.Err())
		}
		deadline, ok := ctx.Deadline()
		if want, _ := parent.Deadline(); !ok || !deadline.Equal(want) {
			t.Errorf("during the call: Deadline %v, %v, want %v", deadline, ok, want)
		}
	}))()))

	<-running
	<-kept.Done()
	if kept.Value(loggerKey{}) != nil || !errors.Is(kept.Err(), context.Canceled) {
		t.Errorf("after the call: Value %v, Err %v", kept.Value(loggerKey{}), kept.Err())
	}
	if parent.Err() != nil {
		t.Errorf("the call ended its parent: %v", parent.Err())
	}
	select {
	case <-context.WithoutCancel(kept).Done():
		t.Error("a context that was detached from the call ended with the call")
	default:
	}
}

func TestServerCancelsRunningCalls(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cancel func(ctx context.Context, parent context.CancelFunc, server tfprotov6.ProviderServer) error
	}{
		"StopProvider": {func(ctx context.Context, _ context.CancelFunc, server tfprotov6.ProviderServer) error {
			_, err := server.StopProvider(ctx, &tfprotov6.StopProviderRequest{})
			return err
		}},
		"the parent": {func(_ context.Context, parent context.CancelFunc, _ tfprotov6.ProviderServer) error {
			parent()
			return nil
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const calls = 3
			reading, ended := make(chan struct{}), make(chan error)
			server := fixContextLeak(providerserver.NewProtocol6(readProvider(func(ctx context.Context) {
				reading <- struct{}{}
				<-ctx.Done()
				ended <- ctx.Err()
			}))())
			parent, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range calls {
				go readThing(parent, t, server)
			}
			for range calls {
				<-reading
			}
			if err := test.cancel(t.Context(), cancel, server); err != nil {
				t.Fatal(err)
			}
			for range calls {
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("a running call ended with %v", err)
				}
			}
		})
	}
}

// A call after StopProvider ends at once, because Terraform may still make a call. If a
// debugger keeps the process, the next run configures the provider first.
func TestServerCancelsCallsAfterStop(t *testing.T) {
	t.Parallel()
	var reads []error
	server := fixContextLeak(providerserver.NewProtocol6(readProvider(func(ctx context.Context) { reads = append(reads, ctx.Err()) }))())
	readThing(t.Context(), t, server)
	if _, err := server.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{}); err != nil {
		t.Fatal(err)
	}
	readThing(t.Context(), t, server)
	if _, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{}); err != nil {
		t.Fatal(err)
	}
	readThing(t.Context(), t, server)
	if want := []error{nil, context.Canceled, nil}; !reflect.DeepEqual(reads, want) {
		t.Errorf("the calls before a stop, after the stop and in the next run had %v", reads)
	}
}

// Shutdown waits until the running calls have returned, but not without end.
func TestServerShutdown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit    time.Duration
		finishes bool
	}{"finishes": {time.Hour, true}, "hangs": {time.Millisecond, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reading, finish := make(chan struct{}), make(chan struct{})
			var finished atomic.Bool
			server, ok := fixContextLeak(providerserver.NewProtocol6(readProvider(func(ctx context.Context) {
				reading <- struct{}{}
				<-ctx.Done()
				<-finish
				finished.Store(true)
			}))()).(leakFixServer)
			if !ok {
				t.Fatal("this is another server")
			}
			var done sync.WaitGroup
			defer done.Wait()
			done.Go(func() { readThing(t.Context(), t, server) })
			<-reading
			if tc.finishes {
				close(finish)
			} else {
				defer close(finish)
			}
			server.shutdown(tc.limit)
			if finished.Load() != tc.finishes {
				t.Errorf("the call has returned: %t", finished.Load())
			}
		})
	}
}

// BenchmarkPlan makes the calls that Terraform makes for one key in a plan: validate, read
// and plan. It uses the protocol, but no other process.
func BenchmarkPlan(b *testing.B) {
	keys := manyDeployKeys(1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"values": [{"id": %d, "key": %q, "label": "Deployment", "comment": "ci@example.com", "repository": {"uuid": %q}}]}`, keys[0].ID, keys[0].Key, acctest.WebsiteUUID)
	}))
	defer api.Close()
	server := NewServer("bench")()
	schemas, err := server.GetProviderSchema(b.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		b.Fatal(err)
	}
	object := func(schema *tfprotov6.Schema, values map[string]string) *tfprotov6.DynamicValue {
		return acctest.ProtocolObject(b, schema, values)
	}
	configured, err := server.ConfigureProvider(b.Context(), &tfprotov6.ConfigureProviderRequest{
		Config: object(schemas.Provider, map[string]string{"base_url": api.URL, "token": "t"}),
	})
	if err != nil || len(configured.Diagnostics) > 0 {
		b.Fatal(err, configured)
	}

	schema := schemas.ResourceSchemas["bitbucket_deploy_key"]
	config := map[string]string{"workspace": "acme", "repository": "website", "key": keys[0].Key + " ci@example.com\n", "label": "Deployment"}
	var model deployKeyModel
	model.flatten(bitbucket.Parent{Workspace: "acme", Repository: "website"}, &keys[0])
	state := map[string]string{
		"id": model.ID.ValueString(), "key_id": strconv.FormatInt(keys[0].ID, 10), "comment": "ci@example.com", "key_type": model.KeyType.ValueString(),
		"fingerprint_sha256": model.FingerprintSHA256.ValueString(), "fingerprint_md5": model.FingerprintMD5.ValueString(), "repository_uuid": acctest.WebsiteUUID,
	}
	for name, value := range config {
		state[name] = value
	}
	configValue, stateValue := object(schema, config), object(schema, state)
	const name = "bitbucket_deploy_key"
	b.ReportAllocs()
	for b.Loop() {
		validated, err := server.ValidateResourceConfig(b.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: name, Config: configValue})
		if err != nil || len(validated.Diagnostics) > 0 {
			b.Fatal(err, validated)
		}
		read, err := server.ReadResource(b.Context(), &tfprotov6.ReadResourceRequest{TypeName: name, CurrentState: stateValue})
		if err != nil || len(read.Diagnostics) > 0 {
			b.Fatal(err, read)
		}
		planned, err := server.PlanResourceChange(b.Context(), &tfprotov6.PlanResourceChangeRequest{
			TypeName: name, Config: configValue, PriorState: read.NewState, ProposedNewState: read.NewState,
		})
		if err != nil || len(planned.Diagnostics) > 0 {
			b.Fatal(err, planned)
		}
	}
}
