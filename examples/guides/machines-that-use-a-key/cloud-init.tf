data "bitbucket_ssh_host_keys" "bitbucket" {}

locals {
  known_hosts = join("", distinct([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "ssh.bitbucket.org ${key.type} ${key.key}\n"]))
}

output "cloud_config" {
  value = "#cloud-config\n${yamlencode({
    packages = ["git", "awscli"]
    write_files = [{
      path    = "/etc/ssh/ssh_known_hosts"
      content = local.known_hosts
    }]
    runcmd = [
      "umask 077 && aws secretsmanager get-secret-value --secret-id bitbucket/website/ci --query SecretString --output text > /root/website",
      "GIT_SSH_COMMAND='ssh -i /root/website -o IdentitiesOnly=yes' git clone git@ssh.bitbucket.org:acme/website.git /srv/website",
    ]
  })}"
}
