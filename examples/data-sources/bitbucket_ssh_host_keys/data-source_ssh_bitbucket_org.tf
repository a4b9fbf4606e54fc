# Lines for both names of Bitbucket's SSH server, even if Bitbucket publishes only one
data "bitbucket_ssh_host_keys" "bitbucket" {}

output "known_hosts" {
  value = join("", sort(distinct(flatten([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : [
    for host in ["bitbucket.org", "ssh.bitbucket.org"] : "${host} ${key.type} ${key.key}\n"
  ]]))))
}
