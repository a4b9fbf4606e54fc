# All deploy keys of the projects that the account can see.
list "bitbucket_project_deploy_key" "all" {
  provider = bitbucket
  limit    = 1000 # Terraform stops at 100 otherwise.

  config {
    workspace = "acme"
  }
}

# Those of one project whose label begins with "ci".
list "bitbucket_project_deploy_key" "ci" {
  provider = bitbucket

  config {
    workspace     = "acme"
    project       = "WEB"
    label_pattern = "(?i)^ci"
  }
}
