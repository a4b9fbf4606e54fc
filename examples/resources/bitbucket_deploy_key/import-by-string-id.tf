import {
  to = bitbucket_deploy_key.example
  id = "acme/website/10958984"
}
