data "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "website"
  label      = "CI"
}

output "last_used" {
  value = data.bitbucket_deploy_key.example.last_used
}
