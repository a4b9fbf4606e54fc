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

// delivery is what becomes of a reply on its way to the client.
type delivery int

const (
	whole     delivery = iota
	truncated          // The body ends in the middle.
	cut                // The connection ends without an answer.
	hanging            // Nothing is sent until the client goes away.
)

// reply is an answer that is complete before anything is sent, so that it can
// be made under the mutex and sent without it.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	delivery delivery
	reset    bool // reset is how a connection ends that does not deliver the whole.
}

// jsonReply is a reply with v as its body.
func jsonReply(status int, v any) reply {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // Bitbucket sends & as it is.
	if err := encoder.Encode(v); err != nil {
		return textReply(http.StatusInternalServerError, err.Error())
	}
	return reply{
		status: status,
		header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		body:   bytes.TrimSpace(body.Bytes()),
	}
}

// textReply is a reply in plain text.
func textReply(status int, text string) reply {
	return reply{
		status: status,
		header: http.Header{"Content-Type": {"text/plain"}},
		body:   []byte(text),
	}
}

// add puts further fields into the reply's header, in place of its own.
func (a *reply) add(header http.Header) {
	if a.header == nil {
		a.header = http.Header{}
	}
	for name, values := range header {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
}

// date says when the reply was made, unless a fault says something else.
func (a *reply) date(now time.Time) {
	if _, dated := a.header["Date"]; !dated {
		a.add(http.Header{"Date": {now.UTC().Format(http.TimeFormat)}})
	}
}

// send delivers the reply. A connection that must not be answered, or that
// broke, is aborted: net/http would otherwise send an empty 200.
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
		body = body[:len(body)/2] // net/http closes a connection that owes bytes.
	}
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler)
	}
	if a.reset && len(body) < len(a.body) {
		a.abort(w)
	}
}

// abort ends the connection after what was written so far: with an end of file,
// as net/http does, or with a reset.
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
