package bitbucket

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

const (
	// hidden stands where a secret was.
	hidden = "***"
	// pieceLength is the length of the pieces that a secret is recognized by.
	pieceLength = 8
	// tellingLength is the length from which a part of a secret is hidden. Less
	// of a token is of no use to anybody, and may be an ordinary word.
	tellingLength = 16
)

// Mask hides the credentials that a request carries in a text about it.
func Mask(request *http.Request, text string) string {
	return string(maskOf(request).hide([]byte(text)))
}

// mask hides the credentials of a request in what comes back: servers and
// proxies repeat the headers of what they refuse, often cut off, wrapped or
// escaped. So it knows them by their pieces.
type mask struct {
	authorization string
	pieces        map[uint64]struct{}
	// least is the length from which a run of pieces is hidden.
	least int
}

// lastMask is the one that was used last. Nearly all requests of a process carry
// the same credentials, and a token has a thousand pieces.
var lastMask atomic.Pointer[mask]

func maskOf(request *http.Request) *mask {
	authorization := request.Header.Get("Authorization")
	if last := lastMask.Load(); last != nil && last.authorization == authorization {
		return last
	}
	m := &mask{authorization: authorization, pieces: map[uint64]struct{}{}, least: tellingLength}
	if _, password, ok := request.BasicAuth(); ok {
		m.add(password)
		if unescaped, err := url.QueryUnescape(password); err == nil {
			m.add(unescaped) // OAuth has the secret of a consumer escaped.
		}
	} else if _, token, ok := strings.Cut(authorization, " "); ok {
		m.add(token)
	}
	lastMask.Store(m)
	return m
}

// add takes in a secret, unless it is too short to be one. In base64 it has
// three forms in each alphabet, by the number of bytes before it.
func (m *mask) add(secret string) {
	if len(secret) < pieceLength {
		return
	}
	m.least = min(m.least, len(secret))
	m.addForm(secret)
	for before := range 3 {
		text := append(make([]byte, before), secret...)
		m.addForm(base64.RawStdEncoding.EncodeToString(text))
		m.addForm(base64.RawURLEncoding.EncodeToString(text))
	}
}

func (m *mask) addForm(form string) {
	for text := []byte(form); len(text) >= pieceLength; text = text[1:] {
		m.pieces[binary.LittleEndian.Uint64(text)] = struct{}{}
	}
}

// hide returns the text with each run of pieces hidden: the text itself if there
// is none. Every run that counts covers one of the places that are looked at, so
// most of a page of keys is skipped.
func (m *mask) hide(text []byte) []byte {
	if len(m.pieces) == 0 {
		return text
	}
	var shown []byte
	done := 0 // Up to here the text is shown or hidden.
	for at := 0; at+pieceLength <= len(text); {
		if !m.pieceAt(text, at) {
			at += m.least - pieceLength + 1
			continue
		}
		first, last := at, at
		for first > done && m.pieceAt(text, first-1) {
			first--
		}
		for m.pieceAt(text, last+1) {
			last++
		}
		at = last + 1
		if end := last + pieceLength; end-first >= m.least {
			shown = append(append(shown, text[done:first]...), hidden...)
			done, at = end, end
		}
	}
	if done == 0 {
		return text
	}
	return append(shown, text[done:]...)
}

func (m *mask) pieceAt(text []byte, at int) bool {
	if at+pieceLength > len(text) {
		return false
	}
	_, found := m.pieces[binary.LittleEndian.Uint64(text[at:])]
	return found
}

// hideHeader hides them in a header, which it changes.
func (m *mask) hideHeader(header http.Header) {
	for _, values := range header {
		for i, value := range values {
			values[i] = string(m.hide([]byte(value)))
		}
	}
}

// hideError hides them in the text of an error: net/http quotes what it cannot
// read.
func (m *mask) hideError(err error) error {
	text := err.Error()
	if safe := string(m.hide([]byte(text))); safe != text {
		return errors.New(safe)
	}
	return err
}
