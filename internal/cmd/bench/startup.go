package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// starts is the number of measured starts. It is odd, so that the median is a
// measured value.
const starts = 21

// startup is the cost of the provider without any resource.
type startup struct {
	// Seconds is the median time from the start of the process to its first reply.
	Seconds float64 `json:"seconds"`
	// CPUSeconds is the median processor time of the process up to its end.
	CPUSeconds float64 `json:"cpu_seconds"`
	// SchemaBytes is the size of the first reply, which has all schemas.
	SchemaBytes int `json:"schema_bytes"`
	// BinaryBytes is the size of a release build.
	BinaryBytes int64 `json:"binary_bytes"`
	// Modules is the number of third-party Go modules in the binary.
	Modules int `json:"modules"`
}

// measureStartup makes a release build and starts it several times. It does not
// count the first start, because the system then reads the binary from disk.
func measureStartup(ctx context.Context) (*startup, error) {
	logProgress("making a release build of the provider")
	dir, err := os.MkdirTemp("", "bitbucket-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	provider := filepath.Join(dir, "provider.exe") // Windows requires the suffix; other systems accept it.
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
	var elapsed, cpu []time.Duration
	for n := range 1 + starts {
		oneElapsed, oneCPU, schema, err := start(ctx, provider)
		if err != nil {
			return nil, fmt.Errorf("start of the provider: %w", err)
		}
		s.SchemaBytes = schema
		if n > 0 {
			elapsed, cpu = append(elapsed, oneElapsed), append(cpu, oneCPU)
		}
	}
	s.Seconds, s.CPUSeconds = round(median(elapsed).Seconds(), 4), round(median(cpu).Seconds(), 4)
	logProgress("start: %.0f ms (%.0f ms of CPU), %d bytes of schema, %d bytes of provider, %d modules",
		1000*s.Seconds, 1000*s.CPUSeconds, s.SchemaBytes, s.BinaryBytes, s.Modules)
	return s, nil
}

// start runs the provider as Terraform does and requests its schemas. It returns
// the time until the reply, the processor time of the whole process and the size
// of the reply. The time includes Terraform's part of the handshake.
func start(ctx context.Context, provider string) (elapsed, cpu time.Duration, schema int, err error) {
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
		SkipHostEnv:      true, // Settings of Go and of the provider must not change the numbers.
		Logger:           hclog.NewNullLogger(),
	})
	defer func() {
		client.Kill()
		if command.ProcessState != nil {
			cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
		}
	}()
	begin := time.Now()
	protocol, err := client.Client()
	if err != nil {
		return 0, 0, 0, err
	}
	connection, ok := protocol.(*plugin.GRPCClient)
	if !ok {
		return 0, 0, 0, errors.New("the provider does not use gRPC")
	}
	// terraform-plugin-go does not export the types of this reply. An empty message
	// keeps unknown fields, so its size is the size of the reply.
	var schemas emptypb.Empty
	err = connection.Conn.Invoke(ctx, "/tfplugin6.Provider/GetProviderSchema", &emptypb.Empty{}, &schemas)
	return time.Since(begin), 0, proto.Size(&schemas), err
}
