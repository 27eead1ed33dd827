#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    extension MetalLowerings {
        static let image: [Lowering] = []
    }
#endif
