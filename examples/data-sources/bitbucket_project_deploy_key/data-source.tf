data "bitbucket_project_deploy_key" "example" {
  workspace = "acme"
  project   = "WEB"
  label     = "CI"
}

output "last_used" {
  value = data.bitbucket_project_deploy_key.example.last_used
}
