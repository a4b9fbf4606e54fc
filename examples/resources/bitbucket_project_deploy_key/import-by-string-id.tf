import {
  to = bitbucket_project_deploy_key.example
  id = "acme/WEB/10958984"
}
