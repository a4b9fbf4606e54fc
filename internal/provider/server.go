package provider

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// NewServer returns what makes the server of the provider.
func NewServer(version string) func() tfprotov6.ProviderServer {
	return func() tfprotov6.ProviderServer {
		return forgetContexts(providerserver.NewProtocol6(New(version)())())
	}
}

// frameworkServer is all that the framework's server can do. tf6server looks
// for the last three by type assertion.
type frameworkServer interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
	tfprotov6.StateStoreServer
}

// forgetfulServer answers the calls that come for each resource with a context
// that lets go of everything once the call is answered. The framework
// (v1.19.0, registerContext in internal/proto6server/serve.go) keeps the context
// of every call until StopProvider, and with it 30 kB of loggers.
type forgetfulServer struct {
	frameworkServer
	stopped *atomic.Bool
}

func forgetContexts(server tfprotov6.ProviderServer) tfprotov6.ProviderServer {
	if server, ok := server.(frameworkServer); ok {
		return forgetfulServer{server, new(atomic.Bool)}
	}
	return server
}

// StopProvider cancels the calls that run, and this server also those that begin
// later: Terraform may be just about to make one. The next run configures first,
// if it has the same process.
func (s forgetfulServer) StopProvider(ctx context.Context, req *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	s.stopped.Store(true)
	return s.frameworkServer.StopProvider(ctx, req)
}

func (s forgetfulServer) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	s.stopped.Store(false)
	return s.frameworkServer.ConfigureProvider(ctx, req)
}

func (s forgetfulServer) ListResource(ctx context.Context, req *tfprotov6.ListResourceRequest) (*tfprotov6.ListResourceServerStream, error) {
	if s.stopped.Load() {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		ctx = stopped
	}
	return s.frameworkServer.ListResource(ctx, req)
}

func (s forgetfulServer) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.ValidateResourceConfig)
}

func (s forgetfulServer) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.UpgradeResourceState)
}

func (s forgetfulServer) UpgradeResourceIdentity(ctx context.Context, req *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.UpgradeResourceIdentity)
}

func (s forgetfulServer) MoveResourceState(ctx context.Context, req *tfprotov6.MoveResourceStateRequest) (*tfprotov6.MoveResourceStateResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.MoveResourceState)
}

func (s forgetfulServer) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.ImportResourceState)
}

func (s forgetfulServer) GenerateResourceConfig(ctx context.Context, req *tfprotov6.GenerateResourceConfigRequest) (*tfprotov6.GenerateResourceConfigResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.GenerateResourceConfig)
}

func (s forgetfulServer) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.ReadResource)
}

func (s forgetfulServer) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.PlanResourceChange)
}

func (s forgetfulServer) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.ApplyResourceChange)
}

func (s forgetfulServer) ValidateDataResourceConfig(ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.ValidateDataResourceConfig)
}

func (s forgetfulServer) ReadDataSource(ctx context.Context, req *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.ReadDataSource)
}

func (s forgetfulServer) CallFunction(ctx context.Context, req *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	return answer(ctx, s, req, s.frameworkServer.CallFunction)
}

// answer makes one call. Its context is cancelled when it returns.
func answer[Request, Response any](ctx context.Context, s forgetfulServer, req Request, call func(context.Context, Request) (Response, error)) (Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	if s.stopped.Load() {
		cancel()
	}
	var forgetful callContext
	forgetful.now.Store(&ctx)
	defer forgetful.now.Store(&answered)
	defer cancel()
	return call(&forgetful, req)
}

// answered is what the context of every call ends as: cancelled and empty.
var answered = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// callContext is the context of a call while that runs, then answered.
type callContext struct {
	now atomic.Pointer[context.Context]
}

func (c *callContext) Deadline() (time.Time, bool) { return (*c.now.Load()).Deadline() }
func (c *callContext) Done() <-chan struct{}       { return (*c.now.Load()).Done() }
func (c *callContext) Err() error                  { return (*c.now.Load()).Err() }
func (c *callContext) Value(key any) any           { return (*c.now.Load()).Value(key) }
