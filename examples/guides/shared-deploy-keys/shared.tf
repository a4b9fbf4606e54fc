data "bitbucket_deploy_keys" "all" {
  workspace = "acme"
}

locals {
  # The same key has the same fingerprint on each repository, also with different labels.
  repositories = {
    for key in data.bitbucket_deploy_keys.all.keys : key.fingerprint_sha256 => key.repository...
    if key.fingerprint_sha256 != null
  }
}

output "on_several_repositories" {
  value = { for fingerprint, repositories in local.repositories : fingerprint => repositories if length(repositories) > 1 }
}
