data "bitbucket_deployments" "example" {
  workspace   = "acme"
  repository  = "website"
  environment = "Production"
  state       = "COMPLETED"
  limit       = 10
}

# The newest deployment is the first. If the repository has never deployed, the list is empty.
output "in_production" {
  value = try([for d in data.bitbucket_deployments.example.deployments : d.commit if d.status == "SUCCESSFUL"][0], null)
}
