import {
  to = bitbucket_deploy_key.example
  identity = {
    workspace  = "acme"
    repository = "website"
    key_id     = 10958984
  }
}
