list "bitbucket_deploy_key" "all" {
  provider = bitbucket
  limit    = 1000 # Terraform stops at 100 otherwise.

  config {
    workspace = "acme"
  }
}
