package main

import (
	"io"
	"net/http"
	"sync"
)

// stateStore keeps states in memory, for Terraform's "http" backend. With a local
// file, Terraform writes the whole state for each resource that changes. For
// 1,000 resources, that takes longer than everything that this command measures.
type stateStore struct{ states sync.Map }

// ServeHTTP returns, stores or removes the state at a path.
func (s *stateStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		state := s.load(r.URL.Path)
		if state == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if _, err := w.Write(state); err != nil { //nolint:gosec // Terraform sent it, and no browser reads it.
			panic(http.ErrAbortHandler)
		}
	case http.MethodPost:
		content, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		s.states.Store(r.URL.Path, content)
	case http.MethodDelete:
		s.remove(r.URL.Path)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// load returns the state at a path, or nil if there is none.
func (s *stateStore) load(path string) []byte {
	if state, ok := s.states.Load(path); ok {
		if content, ok := state.([]byte); ok {
			return content
		}
	}
	return nil
}

func (s *stateStore) remove(path string) { s.states.Delete(path) }
