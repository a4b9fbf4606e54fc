package emulator

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// delivery selects how much of a reply reaches the client.
type delivery int

const (
	whole     delivery = iota
	truncated          // Only the first half of the body is sent.
	cut                // The connection is closed without a reply.
	hanging            // Nothing is sent until the client closes the connection.
)

// reply is a complete reply. The emulator creates the reply while it holds the mutex,
// and sends the reply after it released the mutex.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	delivery delivery
	reset    bool // reset ends the connection with a TCP reset if the reply is not complete.
}

// jsonReply returns a reply with v as its JSON body.
func jsonReply(status int, v any) reply {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // Bitbucket does not escape &.
	if err := encoder.Encode(v); err != nil {
		return textReply(http.StatusInternalServerError, err.Error())
	}
	return reply{
		status: status,
		header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		body:   bytes.TrimSpace(body.Bytes()),
	}
}

// textReply returns a reply in plain text.
func textReply(status int, text string) reply {
	return reply{
		status: status,
		header: http.Header{"Content-Type": {"text/plain"}},
		body:   []byte(text),
	}
}

// add sets fields of the reply's header. It replaces existing fields.
func (a *reply) add(header http.Header) {
	if a.header == nil {
		a.header = http.Header{}
	}
	for name, values := range header {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
}

// locate sets the header Location to the address of a created or renamed object.
func (a *reply) locate(object links) {
	a.add(http.Header{"Location": {object["self"].Href}})
}

// date sets the header Date, unless a fault has set it.
func (a *reply) date(now time.Time) {
	if _, dated := a.header["Date"]; !dated {
		a.add(http.Header{"Date": {now.UTC().Format(http.TimeFormat)}})
	}
}

// send sends the reply. It panics with [http.ErrAbortHandler] if the reply must not
// be sent or cannot be sent, because net/http would otherwise send an empty 200.
func (a reply) send(w http.ResponseWriter) {
	if a.delivery == cut || a.delivery == hanging {
		a.abort(w)
	}
	maps.Copy(w.Header(), a.header)
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	body := a.body
	if a.delivery == truncated {
		body = body[:len(body)/2] // net/http closes the connection, because bytes are missing.
	}
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler)
	}
	if a.reset && len(body) < len(a.body) {
		a.abort(w)
	}
}

// abort ends the connection with a TCP reset or, as net/http does, with an end of
// file. With a truncated reply, it first sends the bytes that were written.
func (a reply) abort(w http.ResponseWriter) {
	if a.reset {
		controller := http.NewResponseController(w)
		if a.delivery == truncated {
			_ = controller.Flush()
		}
		if connection, _, err := controller.Hijack(); err == nil {
			if tcp, ok := connection.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = connection.Close()
		}
	}
	panic(http.ErrAbortHandler)
}
