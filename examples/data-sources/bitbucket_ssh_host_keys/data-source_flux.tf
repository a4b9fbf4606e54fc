# The Secret of a GitRepository of Flux. Write the private key into identity of the Secret
# without Terraform, because Terraform would store it in the state.
# "kubectl apply --server-side -f -" does not change it.
data "bitbucket_ssh_host_keys" "bitbucket" {}

locals {
  known_hosts = join("", distinct([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "ssh.bitbucket.org ${key.type} ${key.key}\n"]))
}

output "flux_secret" {
  value = yamlencode({
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = { name = "website", namespace = "flux-system" }
    data       = { known_hosts = base64encode(local.known_hosts) }
  })
}
