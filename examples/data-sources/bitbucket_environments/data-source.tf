data "bitbucket_environments" "example" {
  workspace  = "acme"
  repository = "website"
}

# UUIDs by name, for what needs a UUID: {"Production" = "{8a1ea3a4-…}", …}
output "environment_uuids" {
  value = { for e in data.bitbucket_environments.example.environments : e.name => e.uuid }
}

output "production_environments" {
  value = [for e in data.bitbucket_environments.example.environments : e.name if e.type == "Production"]
}
