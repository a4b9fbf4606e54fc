# The user_data of a machine that clones with a deploy key.
data "bitbucket_ssh_host_keys" "bitbucket" {}

output "user_data" {
  value = "#cloud-config\n${yamlencode({
    write_files = [{
      path        = "/etc/ssh/ssh_known_hosts"
      permissions = "0644"
      content     = data.bitbucket_ssh_host_keys.bitbucket.known_hosts
    }]
  })}"
}
