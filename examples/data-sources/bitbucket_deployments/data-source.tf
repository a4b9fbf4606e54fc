data "bitbucket_deployments" "example" {
  workspace  = "acme"
  repository = "website"
  state      = "COMPLETED"
  limit      = 10
}

# The newest deployment comes first. A repository that has never deployed has none.
output "newest" {
  value = one([for d in slice(data.bitbucket_deployments.example.deployments, 0, 1) : "${d.commit} is ${d.status}"])
}
