# Argo CD reads the host keys of all Git servers from one ConfigMap, and each repository from
# a Secret. Write the private key into sshPrivateKey of the Secret without Terraform, because
# Terraform would store it in the state. "kubectl apply --server-side -f -" does not change it.
data "bitbucket_ssh_host_keys" "bitbucket" {}

locals {
  known_hosts = join("", distinct([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "ssh.bitbucket.org ${key.type} ${key.key}\n"]))
  other_hosts = "" # The lines for other Git servers, each ending in a newline.
}

output "argo_cd" {
  value = join("---\n", [
    yamlencode({
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata = {
        name      = "argocd-ssh-known-hosts-cm"
        namespace = "argocd"
        labels    = { "app.kubernetes.io/name" = "argocd-ssh-known-hosts-cm", "app.kubernetes.io/part-of" = "argocd" }
      }
      data = { ssh_known_hosts = "${local.other_hosts}${local.known_hosts}" }
    }),
    yamlencode({
      apiVersion = "v1"
      kind       = "Secret"
      metadata = {
        name      = "website"
        namespace = "argocd"
        labels    = { "argocd.argoproj.io/secret-type" = "repository" }
      }
      data = {
        type = base64encode("git")
        url  = base64encode("git@ssh.bitbucket.org:acme/website.git")
      }
    }),
  ])
}
