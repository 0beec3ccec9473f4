package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
)

// authority signs the certificates of a check.
type authority struct {
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newAuthority(folder string) *authority {
	a := &authority{folder: folder}
	a.key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der := must(x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key))
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.folder, name)
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		panic(err)
	}
	return path
}

// sign makes a certificate in the files NAME.pem and NAME.key.
func (a *authority) sign(name string, mail ...string) {
	pair := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, EmailAddresses: mail,
	}
	der := must(x509.CreateCertificate(rand.Reader, cert, a.cert, pair.Public(), a.key))
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(pair)))
}

func (a *authority) root() nats.Option {
	return nats.RootCAs(filepath.Join(a.folder, "ca.pem"))
}

func (a *authority) shows(name string) nats.Option {
	return nats.ClientCert(filepath.Join(a.folder, name+".pem"), filepath.Join(a.folder, name+".key"))
}

func certificates(s *server) *authority {
	a := newAuthority(s.folder)
	a.sign("server")
	a.sign("client", "bob@example.com")
	return a
}

// unreachable fails unless a connection comes to nothing.
func (s *server) unreachable(options ...nats.Option) error {
	nc, err := s.dial(options...)
	if err == nil {
		nc.Close()
		return errors.New("somebody was let in who should not be")
	}
	return nil
}

func tlsLogin(s *server) error {
	a := certificates(s)
	return all(
		func() error { return s.start(`tls { cert_file: "server.pem", key_file: "server.key" }`) },
		func() error { return s.admits(a.root()) },
		func() error { return s.unreachable(nats.Secure(&tls.Config{})) },
	)
}

func tlsMutual(s *server) error {
	a := certificates(s)
	return all(
		func() error {
			return s.start(`tls { cert_file: "server.pem", key_file: "server.key", ca_file: "ca.pem", verify: true }`)
		},
		func() error { return s.admits(a.root(), a.shows("client")) },
		func() error { return s.unreachable(a.root()) },
	)
}

func tlsFirst(s *server) error {
	a := certificates(s)
	return all(
		func() error {
			return s.start(`tls { cert_file: "server.pem", key_file: "server.key", handshake_first: true }`)
		},
		func() error { return s.admits(a.root(), nats.TLSHandshakeFirst()) },
		func() error { return s.unreachable(a.root()) },
	)
}

func tlsVerifyAndMap(s *server) error {
	a := certificates(s)
	a.sign("stranger", "eve@example.com")
	return all(
		func() error {
			return s.start(`tls { cert_file: "server.pem", key_file: "server.key", ca_file: "ca.pem", verify_and_map: true }
authorization { users: [ {user: "bob@example.com"} ] }`)
		},
		func() error { return s.admits(a.root(), a.shows("client")) },
		func() error { return s.refuses(a.root(), a.shows("stranger")) },
	)
}

// echo sends a large message to itself over a WebSocket.
func (s *server) echo(url string, options ...nats.Option) error {
	options = append([]nats.Option{nats.NoReconnect(), nats.Compression(true)}, options...)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("echo")
	if err != nil {
		return err
	}
	sent := make([]byte, 100_000)
	for at := range sent {
		sent[at] = byte(at % 7)
	}
	nc.Publish("echo", sent)
	msg, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		return err
	}
	if string(msg.Data) != string(sent) {
		return errors.New("another message came back")
	}
	return nil
}

func websocketLogin(s *server) error {
	url := fmt.Sprintf("ws://127.0.0.1:%d", s.websocket)
	return all(
		func() error {
			return s.start(fmt.Sprintf(`websocket { listen: "127.0.0.1:%d", no_tls: true, compression: true }
authorization { users: [ {user: a, password: p} ] }`, s.websocket))
		},
		func() error { return s.echo(url, nats.UserInfo("a", "p")) },
		func() error {
			if err := s.echo(url); !errors.Is(err, nats.ErrAuthorization) {
				return fmt.Errorf("without credentials: %v", err)
			}
			return nil
		},
	)
}

func websocketTLS(s *server) error {
	a := certificates(s)
	return all(
		func() error {
			return s.start(fmt.Sprintf(`websocket { listen: "127.0.0.1:%d", compression: true,
tls { cert_file: "server.pem", key_file: "server.key" } }`, s.websocket))
		},
		func() error { return s.echo(fmt.Sprintf("wss://127.0.0.1:%d", s.websocket), a.root()) },
	)
}
