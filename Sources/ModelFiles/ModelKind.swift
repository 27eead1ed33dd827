/// What a model description may hold, by the number of its field.
enum ModelKind {
    static let mlProgram = 502

    private static let names: [Int: String] = [
        200: "pipelineClassifier", 201: "pipelineRegressor", 202: "pipeline",
        300: "glmRegressor", 301: "supportVectorRegressor", 302: "treeEnsembleRegressor",
        303: "neuralNetworkRegressor", 304: "bayesianProbitRegressor",
        400: "glmClassifier", 401: "supportVectorClassifier", 402: "treeEnsembleClassifier",
        403: "neuralNetworkClassifier", 404: "kNearestNeighborsClassifier",
        500: "neuralNetwork", 501: "itemSimilarityRecommender", 502: "mlProgram",
        555: "customModel", 556: "linkedModel", 560: "classConfidenceThresholding",
        600: "oneHotEncoder", 601: "imputer", 602: "featureVectorizer", 603: "dictVectorizer", 604: "scaler",
        606: "categoricalMapping", 607: "normalizer", 609: "arrayFeatureExtractor", 610: "nonMaximumSuppression",
        900: "identity",
        2000: "textClassifier", 2001: "wordTagger", 2002: "visionFeaturePrint", 2003: "soundAnalysisPreprocessing",
        2004: "gazetteer", 2005: "wordEmbedding", 2006: "audioFeaturePrint",
        3000: "serializedModel",
    ]

    /// Every kind has a number from 200 on, so a kind of the future is noticed as well.
    static func isKind(_ field: Int) -> Bool { field >= 200 }

    static func name(_ field: Int) -> String { names[field] ?? "kind \(field)" }
}
