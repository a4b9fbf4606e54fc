list "bitbucket_deploy_key" "all" {
  provider = bitbucket
  limit    = 1000 # Without limit, the list ends at 100.

  config {
    workspace = "acme"
  }
}
