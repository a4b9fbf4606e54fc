# The Secret of a GitRepository of Flux. "kubectl apply --server-side -f -" leaves the
# private key in it, identity, as it is: put it there without Terraform, which would store
# it in the state.
data "bitbucket_ssh_host_keys" "bitbucket" {}

output "flux_secret" {
  value = yamlencode({
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = { name = "website", namespace = "flux-system" }
    data       = { known_hosts = base64encode(data.bitbucket_ssh_host_keys.bitbucket.known_hosts) }
  })
}
