// Command bitbucket-emulator serves an emulated Bitbucket Cloud API, to try the
// provider without an account. It keeps all data in memory, and saves the data to a file
// only if -state is set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bitbucket-emulator:", err)
		os.Exit(1)
	}
}

// options holds the values of the command line flags.
type options struct {
	addr        string
	allowRemote bool
	seed        string
	state       string
	username    string
	token       string
	scopes      []string
	put         emulator.PUTBehavior
	deployments emulator.DeploymentBehavior
	latency     time.Duration
}

// run serves until ctx ends or the server fails.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	bitbucket, err := o.emulator()
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: bitbucket, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr()); err != nil {
		return errors.Join(err, server.Close())
	}
	select {
	case err := <-stopped:
		return errors.Join(err, bitbucket.Err())
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(grace), bitbucket.Err())
}

// parse reads the command line and refuses invalid combinations of flags.
func parse(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bitbucket-emulator", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 selects a free port")
	flags.BoolVar(&o.allowRemote, "allow-remote", false, "allow an address that other machines can reach")
	flags.StringVar(&o.seed, "seed", "", "JSON `file` with the initial workspaces, which the API cannot create, and their repositories, projects and deploy keys")
	flags.StringVar(&o.state, "state", "", "JSON `file` to save all changes to; if it exists, it replaces the seed")
	flags.StringVar(&o.username, "username", "", "`name` to require with the token, as Basic authentication")
	flags.StringVar(&o.token, "token", "", "`token` to require, as a Bearer token unless -username is set; without it, any credentials are accepted")
	flags.Func("scopes", "comma-separated `scopes` of the token, like read:repository:bitbucket; without it, the token allows everything", o.setScopes)
	flags.Func("put", "`behavior` of a PUT of a deploy key: documented, label-only or refused (default documented)", oneOf(&o.put, map[string]emulator.PUTBehavior{
		"documented": emulator.PUTDocumented,
		"label-only": emulator.PUTLabelOnly,
		"refused":    emulator.PUTRefused,
	}))
	flags.Func("deployments", "`behavior` of deployments: documented, or observed, with other field names and a path that needs a trailing slash (default documented)", oneOf(&o.deployments, map[string]emulator.DeploymentBehavior{
		"documented": {},
		"observed":   {Observed: true, Slash: emulator.SlashRequired},
	}))
	flags.DurationVar(&o.latency, "latency", 0, "`time` that every response takes, like 80ms")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.username != "" && o.token == "":
		return o, errors.New("-username needs -token")
	case o.scopes != nil && o.token == "":
		return o, errors.New("-scopes needs -token")
	case o.latency < 0:
		return o, errors.New("-latency cannot be negative")
	case !o.allowRemote && !isLoopback(o.addr):
		return o, fmt.Errorf("%s is not a loopback address: add -allow-remote to listen on it", o.addr)
	}
	return o, nil
}

// setScopes reads the -scopes flag.
func (o *options) setScopes(list string) error {
	for scope := range strings.SplitSeq(list, ",") {
		scope = strings.TrimSpace(scope)
		if scope == "" {
			return errors.New("a scope is empty")
		}
		o.scopes = append(o.scopes, scope)
	}
	return nil
}

// oneOf returns a function that reads a flag with these values into target.
func oneOf[T any](target *T, values map[string]T) func(string) error {
	return func(name string) error {
		value, ok := values[name]
		if !ok {
			return errors.New("want " + strings.Join(slices.Sorted(maps.Keys(values)), " or "))
		}
		*target = value
		return nil
	}
}

// isLoopback reports whether only this machine can reach addr. An empty host
// means every network interface.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return strings.EqualFold(host, "localhost")
	}
	return ip.Unmap().IsLoopback()
}

// emulator returns an emulator with these options.
func (o options) emulator() (*emulator.Emulator, error) {
	seed, err := o.load()
	if err != nil {
		return nil, err
	}
	bitbucket := emulator.New(seed)
	bitbucket.SetPUT(o.put)
	bitbucket.SetDeployments(o.deployments)
	bitbucket.SetLatency(o.latency)
	switch {
	case o.username != "":
		bitbucket.AllowBasic(o.username, o.token, o.scopes...)
	case o.token != "":
		bitbucket.AllowBearer(o.token, o.scopes...)
	}
	if o.state != "" {
		bitbucket.SaveTo(o.state)
	}
	return bitbucket, bitbucket.Err()
}

// load reads the state file if it exists, otherwise the seed file if it is set.
func (o options) load() (emulator.Seed, error) {
	if o.state != "" {
		seed, err := emulator.ReadSeed(o.state)
		if !errors.Is(err, fs.ErrNotExist) {
			return seed, err
		}
	}
	if o.seed == "" {
		return emulator.Seed{}, nil
	}
	return emulator.ReadSeed(o.seed)
}
