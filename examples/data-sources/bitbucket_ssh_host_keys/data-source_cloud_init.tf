# user_data of a machine that clones with a deploy key
data "bitbucket_ssh_host_keys" "bitbucket" {}

locals {
  known_hosts = join("", distinct([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "ssh.bitbucket.org ${key.type} ${key.key}\n"]))
}

output "user_data" {
  value = "#cloud-config\n${yamlencode({
    write_files = [{
      path        = "/etc/ssh/ssh_known_hosts"
      permissions = "0644"
      content     = local.known_hosts
    }]
  })}"
}
