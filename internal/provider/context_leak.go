package provider

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// frameworkServer has the interfaces of the framework's server. tf6server finds the last three
// by type assertion.
type frameworkServer interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
	tfprotov6.StateStoreServer
}

// leakFixServer gives each frequent call a context that releases everything when the call
// returns. The framework (v1.19.0, registerContext in internal/proto6server/serve.go) keeps the
// context of every call until StopProvider, and with it 30 kB of loggers.
type leakFixServer struct {
	frameworkServer
	stopped *atomic.Bool
	// running is locked for reading by each running call.
	running *sync.RWMutex
}

// fixContextLeak wraps the framework's server. It returns any other server unchanged.
func fixContextLeak(server tfprotov6.ProviderServer) tfprotov6.ProviderServer {
	if server, ok := server.(frameworkServer); ok {
		return leakFixServer{server, new(atomic.Bool), new(sync.RWMutex)}
	}
	return server
}

// StopProvider cancels the running calls. It also cancels later calls, because Terraform
// may be about to make one. If the next run uses the same process, it calls
// ConfigureProvider first.
func (s leakFixServer) StopProvider(ctx context.Context, req *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	s.stopped.Store(true)
	return s.frameworkServer.StopProvider(ctx, req)
}

// Shutdown cancels the running calls of a server from [NewServer], and waits until they have
// returned, for [transport.MaxGracePeriod] at most: a request that was already sent may finish.
// The process must then end, because later calls never return.
func Shutdown(server tfprotov6.ProviderServer) {
	if server, ok := server.(leakFixServer); ok {
		server.shutdown(transport.MaxGracePeriod)
	}
}

func (s leakFixServer) shutdown(limit time.Duration) {
	_, _ = s.StopProvider(context.Background(), &tfprotov6.StopProviderRequest{})
	returned := make(chan struct{})
	go func() {
		s.running.Lock()
		close(returned)
	}()
	select {
	case <-returned:
	case <-time.After(limit):
	}
}

func (s leakFixServer) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	s.stopped.Store(false)
	return s.frameworkServer.ConfigureProvider(ctx, req)
}

func (s leakFixServer) ListResource(ctx context.Context, req *tfprotov6.ListResourceRequest) (*tfprotov6.ListResourceServerStream, error) {
	if s.stopped.Load() {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		ctx = stopped
	}
	return s.frameworkServer.ListResource(ctx, req)
}

func (s leakFixServer) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.ValidateResourceConfig)
}

func (s leakFixServer) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.UpgradeResourceState)
}

func (s leakFixServer) UpgradeResourceIdentity(ctx context.Context, req *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.UpgradeResourceIdentity)
}

func (s leakFixServer) MoveResourceState(ctx context.Context, req *tfprotov6.MoveResourceStateRequest) (*tfprotov6.MoveResourceStateResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.MoveResourceState)
}

func (s leakFixServer) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.ImportResourceState)
}

func (s leakFixServer) GenerateResourceConfig(ctx context.Context, req *tfprotov6.GenerateResourceConfigRequest) (*tfprotov6.GenerateResourceConfigResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.GenerateResourceConfig)
}

func (s leakFixServer) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.ReadResource)
}

func (s leakFixServer) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.PlanResourceChange)
}

func (s leakFixServer) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.ApplyResourceChange)
}

func (s leakFixServer) ValidateDataResourceConfig(ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.ValidateDataResourceConfig)
}

func (s leakFixServer) ReadDataSource(ctx context.Context, req *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.ReadDataSource)
}

func (s leakFixServer) CallFunction(ctx context.Context, req *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	return callWithContext(ctx, s, req, s.frameworkServer.CallFunction)
}

// callWithContext makes one call. Its context is cancelled when the call returns.
func callWithContext[Request, Response any](ctx context.Context, s leakFixServer, req Request, call func(context.Context, Request) (Response, error)) (Response, error) {
	s.running.RLock()
	defer s.running.RUnlock()
	ctx, cancel := context.WithCancel(ctx)
	if s.stopped.Load() {
		cancel()
	}
	var current callContext
	current.now.Store(&ctx)
	defer current.now.Store(&returned)
	defer cancel()
	return call(&current, req)
}

// returned replaces the context of a call that has returned. It is cancelled and empty.
var returned = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// callContext is the context of a call. While the call runs, now holds the context of that call.
// Afterwards, now holds the variable returned.
type callContext struct {
	now atomic.Pointer[context.Context]
}

func (c *callContext) Deadline() (time.Time, bool) { return (*c.now.Load()).Deadline() }
func (c *callContext) Done() <-chan struct{}       { return (*c.now.Load()).Done() }
func (c *callContext) Err() error                  { return (*c.now.Load()).Err() }
func (c *callContext) Value(key any) any           { return (*c.now.Load()).Value(key) }
