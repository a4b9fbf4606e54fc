terraform {
  required_version = ">= 1.16"

  required_providers {
    bitbucket = {
      source  = "bitbucket-deploy-keys/bitbucket"
      version = "~> 0.1.0"
    }
    tls = {
      source  = "hashicorp/tls"
      version = ">= 4.2"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

# Each run generates a new pair. Terraform discards it, unless the run writes the secret.
ephemeral "tls_private_key" "new" {
  algorithm = "ED25519"
}

resource "aws_secretsmanager_secret" "ci" {
  name = "bitbucket/website/ci"
}

resource "aws_secretsmanager_secret_version" "ci" {
  secret_id                = aws_secretsmanager_secret.ci.id
  secret_string_wo         = ephemeral.tls_private_key.new.private_key_openssh
  secret_string_wo_version = 1 # To rotate the key, raise this number.
}

# The private key in Secrets Manager, which an earlier run may have stored.
ephemeral "aws_secretsmanager_secret_version" "ci" {
  secret_id  = aws_secretsmanager_secret_version.ci.secret_id
  version_id = aws_secretsmanager_secret_version.ci.version_id
}

ephemeral "tls_public_key" "ci" {
  private_key_openssh = ephemeral.aws_secretsmanager_secret_version.ci.secret_string
}

# "store" accepts an ephemeral value and keeps it in the state. It stores a new value only if
# "version" changes.
resource "terraform_data" "public_key" {
  store {
    input   = ephemeral.tls_public_key.ci.public_key_openssh
    version = aws_secretsmanager_secret_version.ci.version_id
  }
}

resource "bitbucket_deploy_key" "ci" {
  workspace  = "acme"
  repository = "website"
  key        = terraform_data.public_key.store.output
  label      = "CI"

  lifecycle {
    create_before_destroy = true
  }
}
