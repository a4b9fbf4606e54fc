terraform {
  required_version = ">= 1.11"

  required_providers {
    bitbucket = {
      source = "bitbucket-deploy-keys/bitbucket"
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

# Another pair in each run, which is thrown away unless the secret is written.
ephemeral "tls_private_key" "new" {
  algorithm = "ED25519"
}

resource "aws_secretsmanager_secret" "ci" {
  name = "bitbucket/website/ci"
}

resource "aws_secretsmanager_secret_version" "ci" {
  secret_id                = aws_secretsmanager_secret.ci.id
  secret_string_wo         = ephemeral.tls_private_key.new.private_key_openssh
  secret_string_wo_version = 1 # Raise it to rotate the key.
}

# The private key that was stored, in whichever run that was.
ephemeral "aws_secretsmanager_secret_version" "ci" {
  secret_id  = aws_secretsmanager_secret_version.ci.secret_id
  version_id = aws_secretsmanager_secret_version.ci.version_id
}

ephemeral "tls_public_key" "ci" {
  private_key_openssh = ephemeral.aws_secretsmanager_secret_version.ci.secret_string
}

# Its name changes with the secret, so that each has a parameter of its own.
resource "aws_ssm_parameter" "ci" {
  name             = "/bitbucket/website/ci/${aws_secretsmanager_secret_version.ci.version_id}"
  type             = "String"
  value_wo         = ephemeral.tls_public_key.ci.public_key_openssh
  value_wo_version = 1
}

locals {
  # Without it, any change of the parameter, such as a tag, would delay the data
  # source to the apply, and so plan another deploy key.
  parameter = aws_ssm_parameter.ci.id
}

data "aws_ssm_parameter" "ci" {
  name = local.parameter
}

resource "bitbucket_deploy_key" "ci" {
  workspace  = "acme"
  repository = "website"
  key        = data.aws_ssm_parameter.ci.insecure_value
  label      = "CI"

  lifecycle {
    create_before_destroy = true
  }
}
