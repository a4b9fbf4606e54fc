# The keys of one project.
data "bitbucket_project_deploy_keys" "web" {
  workspace = "acme"
  project   = "WEB"
}

# Those of all projects of the workspace that the account can see.
data "bitbucket_project_deploy_keys" "all" {
  workspace = "acme"
}

output "readers_of_web" {
  value = data.bitbucket_project_deploy_keys.web.keys[*].label
}

output "never_used" {
  value = [for key in data.bitbucket_project_deploy_keys.all.keys : key.id if key.last_used == null]
}
