// swift-tools-version:6.0
import PackageDescription

let package = Package(
    name: "predict",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(name: "predict", dependencies: [.product(name: "Martlet", package: "martlet")])
    ]
)
