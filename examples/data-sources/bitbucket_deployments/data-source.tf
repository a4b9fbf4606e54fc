data "bitbucket_deployments" "example" {
  workspace        = "acme"
  repository       = "website"
  environment_uuid = "{8a1ea3a4-6a09-4ae3-ba0c-9ab2d8a2b0cc}"
  state            = "COMPLETED"
  limit            = 10
}

# The newest comes first. A repository that has never deployed has none.
output "in_production" {
  value = try([for d in data.bitbucket_deployments.example.deployments : d.commit if d.status == "SUCCESSFUL"][0], null)
}
