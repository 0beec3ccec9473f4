// Who may connect, and as what, asked with nats.go, jwt and nkeys, unmodified: each check starts a server of its
// own with the configuration that it is about.
//
// Usage: checks SERVER-BINARY. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// server is a running server and the folder of its configuration.
type server struct {
	folder, config  string
	port, websocket int
	process         *exec.Cmd
}

type check struct {
	name string
	run  func(*server) error
}

var checks = []check{
	{"nkey", nkeyLogin},
	{"jwt_user", jwtUser}, {"jwt_signing_key", jwtSigningKey}, {"jwt_scoped_template", jwtScopedTemplate},
	{"jwt_bearer", jwtBearer}, {"jwt_connection_type", jwtConnectionType}, {"jwt_source_network", jwtSourceNetwork},
	{"jwt_expires", jwtExpires}, {"jwt_wrong_key", jwtWrongKey}, {"default_sentinel", defaultSentinel},
	{"resolver_update", resolverUpdate}, {"resolver_restart", resolverRestart}, {"resolver_list_lookup_pack", resolverListLookupPack},
	{"resolver_refuses", resolverRefuses}, {"resolver_delete", resolverDelete}, {"resolver_revokes", resolverRevokes},
	{"resolver_limits", resolverLimits}, {"resolver_memory", resolverMemory},
	{"tls", tlsLogin}, {"tls_mutual", tlsMutual}, {"tls_first", tlsFirst}, {"tls_verify_and_map", tlsVerifyAndMap},
	{"websocket", websocketLogin}, {"websocket_tls", websocketTLS},
	{"callout", callout}, {"callout_encrypted", calloutEncrypted}, {"callout_denies", calloutDenies},
	{"callout_silent", calloutSilent}, {"callout_operator", calloutOperator},
	{"callout_certificates", calloutCertificates},
}

func main() {
	binary, err := filepath.Abs(os.Args[1])
	if err != nil {
		panic(err)
	}
	failed := 0
	for _, c := range checks {
		if len(os.Args) > 2 && !strings.Contains(c.name, os.Args[2]) {
			continue
		}
		if err := alone(binary, c); err != nil {
			failed++
			fmt.Printf("FAIL accounts/%s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok accounts/%s\n", c.name)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func alone(binary string, c check) error {
	folder, err := os.MkdirTemp("", "accounts")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	s := &server{folder: folder, port: freePort(), websocket: freePort(), process: exec.Command(binary)}
	defer s.stop()
	return c.run(s)
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts the server with a configuration beside its address.
func (s *server) start(config string) error {
	s.config = config
	path := filepath.Join(s.folder, "server.conf")
	text := fmt.Sprintf("host: 127.0.0.1\nport: %d\nserver_name: test\n%s\n", s.port, config)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return err
	}
	s.process = exec.Command(s.process.Path, "-c", path)
	s.process.Dir, s.process.Stdout, s.process.Stderr = s.folder, log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	for range 200 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			conn.Close()
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	said, _ := os.ReadFile(filepath.Join(s.folder, "log"))
	return fmt.Errorf("the server did not start: %s", said)
}

func (s *server) stop() {
	if s.process.Process != nil {
		s.process.Process.Kill()
		s.process.Wait()
	}
}

// crash ends the server at once and starts it again with the same configuration.
func (s *server) crash() error {
	s.process.Process.Signal(syscall.SIGKILL)
	s.process.Wait()
	return s.start(s.config)
}

func (s *server) url() string {
	return fmt.Sprintf("nats://127.0.0.1:%d", s.port)
}

// told holds what servers said to connections beside answers.
var told sync.Map

type notice struct {
	nc  *nats.Conn
	err string
}

func note(nc *nats.Conn, _ *nats.Subscription, err error) {
	told.Store(notice{nc, err.Error()}, true)
}

func (s *server) dial(options ...nats.Option) (*nats.Conn, error) {
	first := []nats.Option{nats.NoReconnect(), nats.Timeout(5 * time.Second), nats.ErrorHandler(note)}
	options = append(first, options...)
	return nats.Connect(s.url(), options...)
}

// admits fails unless the server lets somebody in.
func (s *server) admits(options ...nats.Option) error {
	nc, err := s.dial(options...)
	if err != nil {
		return err
	}
	nc.Close()
	return nil
}

// refuses fails unless the server turns somebody away for want of authorization.
func (s *server) refuses(options ...nats.Option) error {
	nc, err := s.dial(options...)
	if err == nil {
		nc.Close()
		return errors.New("somebody was let in who should not be")
	}
	if !errors.Is(err, nats.ErrAuthorization) {
		return fmt.Errorf("turned away with another error: %w", err)
	}
	return nil
}

// closedFor waits until a connection has been closed by the server for that error, and fails if that does not come.
// The client tells of the error in its own time, which may be after the end.
func closedFor(nc *nats.Conn, want error) error {
	for range 200 {
		if nc.IsClosed() {
			if _, ok := told.Load(notice{nc, want.Error()}); ok || errors.Is(nc.LastError(), want) {
				return nil
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	if !nc.IsClosed() {
		return errors.New("the connection was not closed")
	}
	return fmt.Errorf("closed for %v, not for %v", nc.LastError(), want)
}

// all returns the first error of several steps.
func all(steps ...func() error) error {
	for number, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", number+1, err)
		}
	}
	return nil
}
