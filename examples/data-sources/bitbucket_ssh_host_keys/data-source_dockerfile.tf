# A Dockerfile that clones with the deploy key of the machine that builds the image. Build it with
# "terraform output -raw dockerfile | docker build --ssh default -".
data "bitbucket_ssh_host_keys" "bitbucket" {}

locals {
  known_hosts = join("", distinct([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "ssh.bitbucket.org ${key.type} ${key.key}\n"]))
}

output "dockerfile" {
  value = <<-EOT
    # syntax=docker/dockerfile:1
    FROM alpine/git
    COPY <<EOF /etc/ssh/ssh_known_hosts
    ${chomp(local.known_hosts)}
    EOF
    RUN --mount=type=ssh git clone git@ssh.bitbucket.org:acme/website.git /website
  EOT
}
