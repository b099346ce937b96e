package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// proxy forwards the wire protocol and lets one write command at a time pass.
// FerretDB v1 reads, changes and writes a document without a transaction; one
// at a time this is as atomic as MongoDB's single-document writes are.
type proxy struct {
	upstream string
	writing  sync.Mutex
}

// upstreamOf gives the address that the server listens on.
func upstreamOf(f *ferretdb.FerretDB) (string, error) {
	u, err := url.Parse(f.MongoDBURI())
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

// serve accepts until the listener is closed.
func (p *proxy) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { _ = p.forward(c) }()
	}
}

// forward carries messages of one client, request by request.
func (p *proxy) forward(client net.Conn) error {
	defer client.Close()
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return err
	}
	defer server.Close()
	for {
		request, err := readMessage(client)
		if err != nil {
			return err
		}
		if err := p.exchange(client, server, request); err != nil {
			return err
		}
	}
}

// exchange sends a request on and its reply back.
func (p *proxy) exchange(client, server net.Conn, request []byte) error {
	command, replied := commandOf(request)
	switch command {
	case "insert", "update", "delete", "findAndModify":
		p.writing.Lock()
		defer p.writing.Unlock()
	}
	if _, err := server.Write(request); err != nil || !replied {
		return err
	}
	reply, err := readMessage(server)
	if err != nil {
		return err
	}
	_, err = client.Write(reply)
	return err
}

const (
	headerLen  = 16
	maxMessage = 64 << 20
	opMsg      = 2013
	moreToCome = 2 // flag bit: no reply follows
)

// readMessage reads one message, header included.
func readMessage(r io.Reader) ([]byte, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(header[:])
	if n < headerLen || n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	m := make([]byte, n)
	copy(m, header[:])
	_, err := io.ReadFull(r, m[headerLen:])
	return m, err
}

// commandOf gives the first key of a message's body section, and whether a
// reply follows.
func commandOf(m []byte) (command string, replied bool) {
	if binary.LittleEndian.Uint32(m[12:]) != opMsg || len(m) < 27 {
		return "", true
	}
	replied = m[16]&moreToCome == 0
	for at := 20; at+7 < len(m); {
		if m[at] == 0 { // a body: kind, int32 length, type of the first element, its key
			key := m[at+6:]
			if end := bytes.IndexByte(key, 0); end >= 0 {
				return string(key[:end]), replied
			}
			return "", replied
		}
		n := int(binary.LittleEndian.Uint32(m[at+1:]))
		if n <= 0 {
			return "", replied
		}
		at += 1 + n
	}
	return "", replied
}
