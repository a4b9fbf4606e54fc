data "bitbucket_deploy_keys" "all" {
  workspace = "acme"
}

locals {
  # The fingerprint is the same wherever the key is, whatever its label.
  repositories = {
    for key in data.bitbucket_deploy_keys.all.keys : key.fingerprint_sha256 => key.repository...
    if key.fingerprint_sha256 != null
  }
}

output "on_several_repositories" {
  value = { for fingerprint, repositories in local.repositories : fingerprint => repositories if length(repositories) > 1 }
}
