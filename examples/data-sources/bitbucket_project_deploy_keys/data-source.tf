# The keys of one project
data "bitbucket_project_deploy_keys" "web" {
  workspace = "acme"
  project   = "WEB"
}

# The keys of all projects that the account can read
data "bitbucket_project_deploy_keys" "all" {
  workspace = "acme"
}

output "readers_of_web" {
  value = data.bitbucket_project_deploy_keys.web.keys[*].label
}

output "never_used" {
  value = [for key in data.bitbucket_project_deploy_keys.all.keys : key.id if key.last_used == null]
}
