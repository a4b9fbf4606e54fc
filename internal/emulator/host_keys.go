package emulator

import "net/http"

// hostKeysPath is the path of the host keys on the web site.
const hostKeysPath = "/site/ssh"

// HostKeys are the host keys of bitbucket.org since June 2023. Atlassian publishes their
// fingerprints: https://bitbucket.org/blog/ssh-host-key-changes
const HostKeys = "" +
	"bitbucket.org ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPIQmuzMBuKdWeF4+a2sjSSpBK0iqitSQ+5BM9KhpexuGt20JpTVM7u5BDZngncgrqDMbWdxMWWOGtZ9UgbqgZE=\n" +
	"bitbucket.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO\n" +
	"bitbucket.org ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDQeJzhupRu0u0cdegZIa8e86EG2qOCsIsD1Xw0xSeiPDlCr7kq97NLmMbpKTX6Esc30NuoqEEHCuc7yWtwp8dI76EEEB1VqY9QJq6vk+aySyboD5QF61I/1WeTwu+deCbgKMGbUijeXhtfbxSxm6JwGrXrhBdofTsbKRUsrN1WoNgUa8uqN1Vx6WAJw1JHPhglEGGHea6QICwJOAr/6mrui/oB7pkaWKHj3z7d1IC4KWLtY47elvjbaTlkN04Kc/5LFEirorGYVbt15kAUlqGM65pk6ZBxtaO3+30LVlORZkxOh+LKL/BvbZ/iRNhItLqNyieoQj/uh/7Iv4uyH/cV/0b4WDSd3DptigWq84lJubb9t/DnZlrJazxyDCulTmKdOR7vs9gMTo+uoIrPSb8ScTtvw65+odKAlBj59dhnVp9zd7QUojOpXlL62Aw56U4oO+FALuevvMjiWeavKhJqlR7i5n9srYcrNV7ttmDw7kf/97P5zauIhxcjX+xHv4M=\n"

// SetHostKeys replaces the body of the page that lists the host keys. A test can imitate a
// rotation of the keys, or add lines for ssh.bitbucket.org.
func (e *Emulator) SetHostKeys(body string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hostKeys = body
}

// listHostKeys answers a request for the host keys. It ignores credentials.
func (e *Emulator) listHostKeys(c call) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	return textReply(http.StatusOK, e.hostKeys)
}
