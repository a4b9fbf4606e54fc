# All deploy keys of the workspace that the account can read
list "bitbucket_deploy_key" "all" {
  provider = bitbucket
  limit    = 1000 # The default is 100.

  config {
    workspace = "acme"
  }
}

# The deploy keys in one project whose label begins with "ci"
list "bitbucket_deploy_key" "ci" {
  provider = bitbucket

  config {
    workspace     = "acme"
    project       = "WEB"
    label_pattern = "(?i)^ci"
  }
}
