data "bitbucket_environments" "example" {
  workspace  = "acme"
  repository = "website"
}

# The UUID of each environment by its name: {"Production" = "{8a1ea3a4-…}", …}
output "environment_uuids" {
  value = { for e in data.bitbucket_environments.example.environments : e.name => e.uuid }
}

output "production_environments" {
  value = [for e in data.bitbucket_environments.example.environments : e.name if e.type == "Production"]
}
