data "bitbucket_environments" "example" {
  workspace  = "acme"
  repository = "website"
}

output "names" { # was data.bitbucket_deployments.example.names
  value = data.bitbucket_environments.example.environments[*].name
}

output "uuids" { # was data.bitbucket_deployments.example.uuids
  value = data.bitbucket_environments.example.environments[*].uuid
}

output "production" { # was data.bitbucket_deployment.production
  value = one([for e in data.bitbucket_environments.example.environments : e if e.name == "Production"])
}
