import {
  to = bitbucket_project_deploy_key.example
  identity = {
    workspace = "acme"
    project   = "WEB"
    key_id    = 10958984
  }
}
