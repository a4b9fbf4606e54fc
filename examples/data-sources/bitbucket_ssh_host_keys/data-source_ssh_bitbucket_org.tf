# Lines for both names of Bitbucket's SSH server, whichever of them Bitbucket publishes.
data "bitbucket_ssh_host_keys" "bitbucket" {}

output "known_hosts" {
  value = join("", sort(distinct(flatten([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : [
    for host in ["bitbucket.org", "ssh.bitbucket.org"] : "${host} ${key.type} ${key.key}\n"
  ]]))))
}
