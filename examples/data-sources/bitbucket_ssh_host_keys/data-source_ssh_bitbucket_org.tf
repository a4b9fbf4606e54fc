# Lines for both names of Bitbucket's SSH server.
data "bitbucket_ssh_host_keys" "bitbucket" {}

output "known_hosts" {
  value = join("", [for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "${key.host},ssh.bitbucket.org ${key.type} ${key.key}\n"])
}
