# Configures the lit suite: check-tnllm runs all of it, `lit <build>/test/<folder>`
# one folder. Everything a test writes goes to <build>/test.
