package emulator_test

import (
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// object is a deploy key as the live API sends it.
func object(t *testing.T, s server, id int64, key, comment, label string) string {
	t.Helper()
	return fmt.Sprintf(`{
		"id": %[1]d, "key": %[2]s, "label": %[4]s, "type": "deploy_key",
		"created_on": "2026-09-30T13:07:33.924449+00:00", "last_used": null, "comment": %[3]s,
		"repository": {
			"type": "repository", "full_name": "acme/sandbox", "name": "Sandbox", "uuid": "{00000000-0000-4000-8000-000000000001}",
			"links": {
				"self": {"href": "%[5]s/2.0/repositories/acme/sandbox"},
				"html": {"href": "%[5]s/acme/sandbox"},
				"avatar": {"href": "%[5]s/ravatar/%%7B00000000-0000-4000-8000-000000000001%%7D?ts=default"}
			}
		},
		"links": {"self": {"href": "%[5]s/2.0/repositories/acme/sandbox/deploy-keys/%[1]d"}}
	}`, id, quote(t, key), quote(t, comment), quote(t, label), s.url)
}

// input is the body of a POST or PUT.
func input(t *testing.T, key, label string) string {
	t.Helper()
	return fmt.Sprintf(`{"key": %s, "label": %s}`, quote(t, key), quote(t, label))
}

func TestLifeOfAKey(t *testing.T) {
	t.Parallel()
	s, key := newServer(t), publicKey(1)
	created := object(t, s, 10958984, key, "me@host of mine", "ci")
	s.send(t, "POST", keys+"/", input(t, " "+key+" \t me@host of mine \n", "  ci ")).want(t, 200, created)
	s.send(t, "GET", "/2.0/repositories/%7B%7D/%7B00000000-0000-4000-8000-000000000001%7D/deploy-keys/10958984", "").want(t, 200, created)
	s.send(t, "GET", keys, "").want(t, 200, `{"values":[`+created+`],"pagelen":10,"size":1,"page":1}`)

	plain := fmt.Sprintf(`{"key": %q, "type": "deploy_key"}`, publicKey(2))
	s.send(t, "POST", keys, plain).want(t, 200, object(t, s, 10958985, publicKey(2), "", ""))

	deleted := s.send(t, "DELETE", keys+"/10958984", "")
	if deleted.status != 204 || deleted.body != "" || deleted.header.Get("Content-Type") != "" {
		t.Errorf("DELETE answered %+v", deleted)
	}
	s.send(t, "GET", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "DELETE", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", keys, input(t, key, "")).want(t, 200, object(t, s, 10958986, key, "", ""))
}

func TestCreatedOnWithoutMicroseconds(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetClock(func() time.Time { return time.Date(2013, 12, 10, 16, 44, 13, 0, time.FixedZone("", 7200)) })
	s.send(t, "POST", keys, input(t, publicKey(1), ""))
	if got := s.DeployKeys("acme", "sandbox")[0].CreatedOn; got != "2013-12-10T14:44:13+00:00" {
		t.Errorf("created_on is %s", got)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	again := input(t, publicKey(1)+" other comment", "other")
	for range 2 {
		s.SetDuplicate(emulator.DuplicateFieldErrors)
		s.send(t, "POST", keys, input(t, publicKey(1), "same label"))
		s.send(t, "POST", keys, again).want(t, 400, keyTaken)
		s.SetDuplicate(emulator.DuplicateEnvelope)
		s.send(t, "POST", keys, again).want(t, 400, `{"type":"error","error":{
			"message":"key: Someone has already added that access key to this repository.",
			"fields":{"key":["Someone has already added that access key to this repository."]}}}`)
		s.send(t, "POST", keys, `{"key":"x"}`).want(t, 400, `{"type":"error","error":{
			"message":"key: Invalid SSH key.","fields":{"key":["Invalid SSH key."]}}}`)
	}
	if got := s.send(t, "POST", "/2.0/repositories/acme/other/deploy-keys", again); got.status != 200 {
		t.Errorf("the key on another repository: %d %s", got.status, got.body)
	}
	if got := s.send(t, "POST", keys, input(t, publicKey(2), "same label")); got.status != 200 {
		t.Errorf("the label of another key: %d %s", got.status, got.body)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	type rsa struct {
		Type string
		E, N *big.Int
	}
	type dsa struct {
		Type       string
		P, Q, G, Y *big.Int
	}
	type ec struct {
		Type, Curve string
		Point       []byte
	}
	bits := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n-1) }
	one := big.NewInt(1)
	ed := publicKey(1)
	for name, test := range map[string]struct {
		key string
		ok  bool
	}{
		"ed25519":            {ed, true},
		"rsa 2048":           {line("ssh-rsa", rsa{"ssh-rsa", big.NewInt(65537), bits(2048)}), true},
		"rsa 2047":           {line("ssh-rsa", rsa{"ssh-rsa", big.NewInt(65537), bits(2047)}), false},
		"dsa 1024":           {line("ssh-dss", dsa{"ssh-dss", bits(1024), one, one, one}), true},
		"dsa 512":            {line("ssh-dss", dsa{"ssh-dss", bits(512), one, one, one}), false},
		"ecdsa":              {line("ecdsa-sha2-nistp256", ec{"ecdsa-sha2-nistp256", "nistp256", []byte{4}}), true},
		"other curve":        {line("ecdsa-sha2-nistp256", ec{"ecdsa-sha2-nistp521", "nistp521", []byte{4}}), false},
		"security key":       {line("sk-ssh-ed25519@openssh.com", ec{"sk-ssh-ed25519@openssh.com", "", nil}), false},
		"certificate":        {line("ssh-ed25519-cert-v01@openssh.com", ec{"ssh-ed25519-cert-v01@openssh.com", "", nil}), false},
		"other inner type":   {strings.Replace(ed, "ssh-ed25519", "ssh-rsa", 1), false},
		"last character":     {ed[:len(ed)-1] + "A", true},
		"bad base64":         {ed[:40] + "!" + ed[41:], false},
		"no blob":            {"ssh-ed25519", false},
		"blob too short":     {"ssh-ed25519 AAAA", false},
		"empty":              {"", false},
		"two keys":           {ed + "\n" + publicKey(2), false},
		"options":            {"no-pty " + ed, false},
		"private key":        {"-----BEGIN OPENSSH PRIVATE KEY-----", false},
		"rsa without number": {line("ssh-rsa", struct{ Type string }{ssh.KeyAlgoRSA}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			got := s.send(t, "POST", keys, input(t, test.key, ""))
			if test.ok {
				got.want(t, 200, object(t, s, 10958984, test.key, "", ""))
			} else {
				got.want(t, 400, keyInvalid)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	for _, target := range []struct{ method, path string }{{"POST", keys}, {"PUT", keys + "/1"}} {
		for body, want := range map[string]string{
			"":                       badRequest,
			"key=x":                  badRequest,
			`{"key": 1}`:             badRequest,
			`{}`:                     keyInvalid,
			`{"label": "x"}`:         keyInvalid,
			`{"key": null}`:          keyInvalid,
			`{"key": "ssh-ed25519"}`: keyInvalid,
		} {
			s.send(t, target.method, target.path, body).want(t, 400, want)
		}
	}
}

func TestPUT(t *testing.T) {
	t.Parallel()
	key, other := publicKey(1), publicKey(2)
	for name, test := range map[string]struct {
		behavior       emulator.PUTBehavior
		body           string
		refusal        string
		comment, label string
	}{
		"documented":               {emulator.PUTDocumented, input(t, key+" new comment", " new "), "", "new comment", "new"},
		"documented, no comment":   {emulator.PUTDocumented, input(t, key, "new"), "", "", "new"},
		"documented, no label":     {emulator.PUTDocumented, `{"key": "` + key + ` new"}`, "", "new", "old"},
		"documented, empty label":  {emulator.PUTDocumented, input(t, key, ""), "", "", ""},
		"documented, other key":    {emulator.PUTDocumented, input(t, other, "new"), keyImmutable, "", ""},
		"documented, label only":   {emulator.PUTDocumented, `{"label": "new"}`, keyInvalid, "", ""},
		"label only, with the key": {emulator.PUTLabelOnly, input(t, key, "new"), keyImmutable, "", ""},
		"label only":               {emulator.PUTLabelOnly, `{"label": "new"}`, "", "old comment", "new"},
		"label only, nothing":      {emulator.PUTLabelOnly, `{}`, keyInvalid, "", ""},
		"refused, with the key":    {emulator.PUTRefused, input(t, key, "new"), keyImmutable, "", ""},
		"refused, with no key":     {emulator.PUTRefused, `{"label": "new"}`, keyInvalid, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			before := s.AddDeployKey("acme", "sandbox", key+" old comment", "old")
			s.SetPUT(test.behavior)
			got := s.send(t, "PUT", fmt.Sprintf("%s/%d", keys, before.ID), test.body)
			held := s.DeployKeys("acme", "sandbox")[0]
			if test.refusal != "" {
				got.want(t, 400, test.refusal)
				if held != before {
					t.Errorf("a refused PUT changed %+v to %+v", before, held)
				}
				return
			}
			got.want(t, 200, object(t, s, before.ID, key, test.comment, test.label))
			if held.Comment != test.comment || held.Label != test.label || held.Key != key {
				t.Errorf("holds %+v", held)
			}
		})
	}
}

// list is what a client reads of a page.
type list struct {
	Values []struct {
		ID int64 `json:"id"`
	} `json:"values"`
	Pagelen int     `json:"pagelen"`
	Size    int     `json:"size"`
	Page    int     `json:"page"`
	Next    *string `json:"next"`
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for n := range 250 {
		s.AddDeployKey("acme", "sandbox", publicKey(n), "")
	}
	const byUUID = "/2.0/repositories/%7B00000000-0000-4000-8000-0000000000ac%7D/sandbox/deploy-keys"
	for path, want := range map[string]struct {
		pages, pagelen int
		second         string
	}{
		keys:                    {25, 10, "?page=2"},
		byUUID + "?pagelen=100": {3, 100, "?pagelen=100&page=2"},
		keys + "/?pagelen=50":   {5, 50, "?pagelen=50&page=2"},
	} {
		var ids []int64
		for next, number := s.url+path, 1; next != ""; number++ {
			at, ok := strings.CutPrefix(next, s.url)
			page := decode[list](t, s.send(t, "GET", at, "").body)
			if !ok || page.Page != number || page.Pagelen != want.pagelen || page.Size != 250 {
				t.Fatalf("%s: %+v", next, page)
			}
			for _, value := range page.Values {
				ids = append(ids, value.ID)
			}
			bare, _, _ := strings.Cut(path, "?")
			if number == 1 && (page.Next == nil || *page.Next != s.url+bare+want.second) {
				t.Errorf("%s: next is %v", path, page.Next)
			}
			next = ""
			if page.Next != nil {
				next = *page.Next
			} else if number != want.pages {
				t.Errorf("%s: %d pages, want %d", path, number, want.pages)
			}
		}
		if len(ids) != 250 || ids[0] != 10958984 || ids[249] != 10959233 {
			t.Errorf("%s: %d ids, %v", path, len(ids), ids)
		}
	}
}

func TestPageParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const (
		invalidPagelen = `{"type":"error","error":{"message":"Invalid pagelen"}}`
		invalidPage    = `{"type":"error","error":{"message":"Invalid page"}}`
	)
	for query, want := range map[string]string{
		"pagelen=0": invalidPagelen, "pagelen=101": invalidPagelen, "pagelen=-1": invalidPagelen, "pagelen=x": invalidPagelen,
		"pagelen=": invalidPagelen, "page=0": invalidPage, "page=x": invalidPage, "page=99999999999999999999": invalidPage,
	} {
		s.send(t, "GET", keys+"?"+query, "").want(t, 400, want)
	}
	s.send(t, "GET", keys+"?page=2&pagelen=100", "").want(t, 200, `{"values":[],"pagelen":100,"size":0,"page":2}`)
	s.send(t, "GET", keys+"?page=9223372036854775807&x=y", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":9223372036854775807}`)
}

func TestConcurrentPOSTs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const rivals, distinct = 20, 40
	statuses := make([]int, rivals+distinct)
	var group sync.WaitGroup
	for i := range statuses {
		group.Go(func() {
			got, err := s.try(t, "Bearer token", "POST", keys, input(t, publicKey(max(0, i-rivals+1)), ""))
			if err != nil {
				t.Error(err)
			}
			statuses[i] = got.status
			if got, err := s.try(t, "Bearer token", "GET", keys, ""); err != nil || got.status != http.StatusOK {
				t.Errorf("GET answered %d, %v", got.status, err)
			}
		})
	}
	group.Wait()
	won := 0
	for i, status := range statuses {
		switch {
		case status == http.StatusOK && i < rivals:
			won++
		case status != http.StatusOK && i >= rivals, status != http.StatusOK && status != http.StatusBadRequest:
			t.Errorf("POST %d answered %d", i, status)
		}
	}
	if held := s.DeployKeys("acme", "sandbox"); won != 1 || len(held) != distinct+1 {
		t.Errorf("%d of the same key won, %d keys are held", won, len(held))
	}
	if got := len(s.Requests()); got != 2*len(statuses) {
		t.Errorf("%d requests were logged", got)
	}
}
